import com.inductiveautomation.ignition.gateway.model.AbstractGatewayModuleHook;

/** Loads the probe's hook as a gateway does, and calls what a gateway calls. */
public class TryProbe {
    public static void main(String[] arguments) throws Exception {
        Class<?> found = Class.forName(arguments[0]);
        var hook = (AbstractGatewayModuleHook) found.getDeclaredConstructor().newInstance();
        hook.setup(null);
        hook.startup(null);
        hook.shutdown();
        System.out.println("started");
    }
}
