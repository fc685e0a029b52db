import java.io.*;
import java.nio.charset.StandardCharsets;
import java.util.*;

/** Loads Base64 lines from stdin as Properties, by bytes and as text; prints UTF-16 pairs in hex. */
class LoadProperties {
    public static void main(String[] arguments) throws IOException {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        StringBuilder out = new StringBuilder();
        for (String line; (line = lines.readLine()) != null; ) {
            byte[] data = Base64.getDecoder().decode(line);
            out.append(load(new Properties(), data, false)).append(' ').append(load(new Properties(), data, true)).append('\n');
        }
        System.out.print(out);
    }

    private static String load(Properties properties, byte[] data, boolean asText) throws IOException {
        try {
            if (asText) {
                properties.load(new StringReader(new String(data, StandardCharsets.UTF_8)));
            } else {
                properties.load(new ByteArrayInputStream(data));
            }
        } catch (IllegalArgumentException refused) {
            return "refused";
        }
        List<String> pairs = new ArrayList<>();
        for (String key : new TreeSet<>(properties.stringPropertyNames())) {
            pairs.add(hex(key) + ":" + hex(properties.getProperty(key)));
        }
        return "[" + String.join(",", pairs) + "]";
    }

    private static String hex(String text) {
        StringBuilder out = new StringBuilder();
        for (char unit : text.toCharArray()) {
            out.append(String.format("%04x", (int) unit));
        }
        return out.toString();
    }
}
