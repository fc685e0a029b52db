package com.example.shiftclock.gateway;

import com.example.shiftclock.common.ShiftPlan;
import java.time.LocalTime;

/**
 * The gateway's entry point to the module.
 *
 * <p>A real hook extends the SDK's {@code AbstractGatewayModuleHook}. The SDK's jars come from the
 * vendor's Maven repository; this example builds without a network, so its hook extends nothing, and
 * a gateway would refuse to start it.
 */
public class ShiftClockGatewayHook {
    /** Returns the gateway's current shift. */
    public ShiftPlan.Shift currentShift() {
        return ShiftPlan.shiftAt(LocalTime.now());
    }
}
