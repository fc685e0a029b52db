import java.io.File;
import java.io.FileInputStream;
import java.io.InputStream;
import java.security.MessageDigest;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.util.HexFormat;

/**
 * Reads the certificate files 0, 1, … of a folder.
 *
 * <p>Prints a line per file: the SHA-256 of each certificate in order, or "refused", or "none".
 */
class ReadCertificates {
    public static void main(String[] arguments) throws Exception {
        StringBuilder lines = new StringBuilder();
        for (int number = 0; number < Integer.parseInt(arguments[1]); number++) {
            lines.append(certificates(new File(arguments[0], Integer.toString(number)))).append('\n');
        }
        System.out.print(lines);
    }

    private static String certificates(File file) {
        StringBuilder found = new StringBuilder();
        try (InputStream stream = new FileInputStream(file)) {
            for (Certificate each : CertificateFactory.getInstance("X.509").generateCertificates(stream)) {
                byte[] hash = MessageDigest.getInstance("SHA-256").digest(each.getEncoded());
                found.append(HexFormat.of().formatHex(hash)).append(' ');
            }
            return found.isEmpty() ? "none" : found.toString().trim();
        } catch (Exception refused) {
            return "refused";
        }
    }
}
