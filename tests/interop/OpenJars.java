import java.io.IOException;
import java.util.jar.JarFile;

/** Opens each file named on the command line as a jar; prints whether that worked. */
class OpenJars {
    public static void main(String[] paths) {
        for (String path : paths) {
            try (JarFile jar = new JarFile(path, false)) {
                System.out.println("opens " + jar.size());
            } catch (IOException | RuntimeException refused) {
                System.out.println("refused " + refused.getMessage());
            }
        }
    }
}
