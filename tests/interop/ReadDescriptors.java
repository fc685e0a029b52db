import java.io.File;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.function.Function;
import javax.xml.parsers.DocumentBuilderFactory;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.w3c.dom.Node;
import org.w3c.dom.NodeList;
import org.xml.sax.helpers.DefaultHandler;

/**
 * Reads the module.xml files 0, 1, … of a folder as Java programs do.
 *
 * <p>Prints a line per file: the SHA-256 over the values (but empty ones) found by each way to look for them, or
 * "refused". The ways: anywhere in the document or directly in the module, by whole text or by the
 * first text node, with and without namespaces.
 */
class ReadDescriptors {
    private static final String[] NAMES = {
        "id", "version", "license", "requiredignitionversion", "hook", "jar", "depends"
    };

    public static void main(String[] arguments) throws Exception {
        StringBuilder lines = new StringBuilder();
        for (int number = 0; number < Integer.parseInt(arguments[1]); number++) {
            File file = new File(arguments[0], Integer.toString(number));
            try {
                Document plain = parse(file, false);
                Document aware = parse(file, true);
                lines.append(hash(anywhere(plain, Node::getTextContent, Node::getNodeName))).append(' ');
                lines.append(hash(anywhere(plain, ReadDescriptors::first, Node::getNodeName))).append(' ');
                lines.append(hash(anywhere(aware, Node::getTextContent, Node::getLocalName))).append(' ');
                lines.append(hash(direct(plain)));
            } catch (Exception refused) {
                lines.append("refused");
            }
            lines.append('\n');
        }
        System.out.print(lines);
    }

    private static Document parse(File file, boolean isAware) throws Exception {
        DocumentBuilderFactory factory = DocumentBuilderFactory.newInstance();
        factory.setNamespaceAware(isAware);
        var builder = factory.newDocumentBuilder();
        builder.setErrorHandler(new DefaultHandler());
        builder.setEntityResolver((name, address) -> { throw new IllegalStateException("no entities"); });
        return builder.parse(file);
    }

    private static String first(Node node) {
        return node.getFirstChild() == null ? "" : String.valueOf(node.getFirstChild().getNodeValue());
    }

    private static String anywhere(
            Document document, Function<Node, String> text, Function<Node, String> nameOf) {
        NodeList all = document.getElementsByTagName("*");
        StringBuilder found = new StringBuilder();
        for (String name : NAMES) {
            for (int index = 0; index < all.getLength(); index++) {
                add(found, name, all.item(index), text, nameOf);
            }
        }
        return found.toString();
    }

    private static String direct(Document document) {
        Element module = document.getDocumentElement();
        if (!module.getNodeName().equalsIgnoreCase("module")) {
            module = (Element) child(module, "module");
        }
        StringBuilder found = new StringBuilder();
        for (String name : NAMES) {
            for (Node node = module.getFirstChild(); node != null; node = node.getNextSibling()) {
                add(found, name, node, Node::getTextContent, Node::getNodeName);
            }
        }
        return found.toString();
    }

    private static Node child(Node parent, String name) {
        Node node = parent.getFirstChild();
        while (!node.getNodeName().equalsIgnoreCase(name)) {
            node = node.getNextSibling();
        }
        return node;
    }

    private static void add(
            StringBuilder found,
            String name,
            Node node,
            Function<Node, String> text,
            Function<Node, String> nameOf) {
        if (name.equalsIgnoreCase(nameOf.apply(node))) {
            byte[] value = text.apply(node).trim().getBytes(StandardCharsets.UTF_8);
            if (value.length > 0) {
                found.append(name).append('=').append(HexFormat.of().formatHex(value)).append('\n');
            }
        }
    }

    private static String hash(String text) throws Exception {
        byte[] data = text.getBytes(StandardCharsets.UTF_8);
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(data));
    }
}
