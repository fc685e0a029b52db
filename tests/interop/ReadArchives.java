import java.io.BufferedInputStream;
import java.io.File;
import java.io.FileInputStream;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;
import java.util.jar.JarFile;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipInputStream;

/**
 * Reads the archives 0, 1, … of a folder with each of Java's three readers.
 *
 * <p>Prints a line per archive: for each reader the SHA-256 over its sorted entries (name and content's
 * SHA-256), or "refused".
 */
class ReadArchives {
    private interface Reader {
        List<String> entries(File file) throws Exception;
    }

    public static void main(String[] arguments) throws Exception {
        Reader[] readers = {
            file -> { try (ZipFile zip = new ZipFile(file)) { return all(zip); } },
            file -> { try (JarFile jar = new JarFile(file, true)) { return all(jar); } },
            ReadArchives::stream,
        };
        StringBuilder lines = new StringBuilder();
        for (int number = 0; number < Integer.parseInt(arguments[1]); number++) {
            File file = new File(arguments[0], Integer.toString(number));
            for (Reader reader : readers) {
                lines.append(summary(reader, file)).append(' ');
            }
            lines.append('\n');
        }
        System.out.print(lines);
    }

    private static String summary(Reader reader, File file) {
        try {
            List<String> entries = reader.entries(file);
            Collections.sort(entries);
            return hash(String.join("", entries).getBytes(StandardCharsets.US_ASCII));
        } catch (Exception refused) {
            return "refused";
        }
    }

    private static List<String> all(ZipFile zip) throws Exception {
        List<String> entries = new ArrayList<>();
        for (ZipEntry entry : Collections.list(zip.entries())) {
            try (InputStream content = zip.getInputStream(entry)) {
                entries.add(line(entry, content.readAllBytes()));
            }
        }
        return entries;
    }

    private static List<String> stream(File file) throws Exception {
        List<String> entries = new ArrayList<>();
        try (ZipInputStream zip = new ZipInputStream(new BufferedInputStream(new FileInputStream(file)))) {
            for (ZipEntry entry = zip.getNextEntry(); entry != null; entry = zip.getNextEntry()) {
                entries.add(line(entry, zip.readAllBytes()));
            }
        }
        return entries;
    }

    private static String line(ZipEntry entry, byte[] content) throws Exception {
        String name = HexFormat.of().formatHex(entry.getName().getBytes(StandardCharsets.UTF_8));
        return name + ":" + hash(content) + "\n";
    }

    private static String hash(byte[] data) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(data));
    }
}
