import java.io.File;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.Signature;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;

/**
 * Reads modules as a gateway could, with Java's own classes only; the argument is a list of paths.
 *
 * <p>Prints for each: the SHA-256 over its files, what its signature is worth ("unsigned", "intact",
 * "bad", or "refused" for what Java can't read), and the SHA-256 of each certificate.
 */
class ReadModules {
    private static final Set<String> SIGNATURE = Set.of("signatures.properties", "certificates.p7b");

    public static void main(String[] arguments) throws Exception {
        for (String path : Files.readAllLines(Path.of(arguments[0]))) {
            try (ZipFile zip = new ZipFile(new File(path))) {
                System.out.println(read(zip));
            } catch (Exception refused) {
                System.out.println("refused refused -");
            }
        }
    }

    private static String read(ZipFile zip) throws Exception {
        TreeMap<String, String> hashes = new TreeMap<>();
        for (ZipEntry entry : Collections.list(zip.entries())) {
            if (!entry.isDirectory()) {
                byte[] content = content(zip, entry.getName());
                hashes.put(HexFormat.of().formatHex(entry.getName().getBytes(StandardCharsets.UTF_8)), sha256(content));
            }
        }
        StringBuilder files = new StringBuilder();
        hashes.forEach((name, hash) -> files.append(name).append(':').append(hash).append('\n'));
        return sha256(files.toString().getBytes(StandardCharsets.US_ASCII)) + " " + signature(zip);
    }

    private static String signature(ZipFile zip) throws Exception {
        long present = SIGNATURE.stream().filter(name -> zip.getEntry(name) != null).count();
        if (present < SIGNATURE.size()) {
            return present == 0 ? "unsigned -" : "bad -";
        }
        List<Certificate> certificates;
        try (InputStream stream = zip.getInputStream(zip.getEntry("certificates.p7b"))) {
            certificates = new ArrayList<>(CertificateFactory.getInstance("X.509").generateCertificates(stream));
        } catch (Exception refused) {
            return "bad -";
        }
        StringBuilder prints = new StringBuilder();
        for (Certificate each : certificates) {
            prints.append(prints.isEmpty() ? "" : ",").append(sha256(each.getEncoded()));
        }
        boolean isIntact = !certificates.isEmpty() && isIntact(zip, certificates.get(0));
        return (isIntact ? "intact " : "bad ") + (prints.isEmpty() ? "-" : prints);
    }

    private static boolean isIntact(ZipFile zip, Certificate signer) {
        try {
            Properties lines = new Properties();
            try (InputStream stream = zip.getInputStream(zip.getEntry("signatures.properties"))) {
                lines.load(stream);
            }
            Set<String> names = new TreeSet<>();
            for (ZipEntry entry : Collections.list(zip.entries())) {
                if (!entry.isDirectory() && !SIGNATURE.contains(entry.getName())) {
                    names.add("/" + entry.getName());
                }
            }
            if (!names.equals(new TreeSet<>(lines.stringPropertyNames()))) {
                return false;
            }
            for (String name : names) {
                Signature check = Signature.getInstance("SHA256withRSA");
                check.initVerify(signer.getPublicKey());
                check.update(content(zip, name.substring(1)));
                if (!check.verify(Base64.getDecoder().decode(lines.getProperty(name)))) {
                    return false;
                }
            }
            return true;
        } catch (Exception bad) {
            return false;
        }
    }

    private static byte[] content(ZipFile zip, String name) throws Exception {
        try (InputStream stream = zip.getInputStream(zip.getEntry(name))) {
            return stream.readAllBytes();
        }
    }

    private static String sha256(byte[] data) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(data));
    }
}
