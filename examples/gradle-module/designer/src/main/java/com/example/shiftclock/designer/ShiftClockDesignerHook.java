package com.example.shiftclock.designer;

import com.example.shiftclock.common.ShiftPlan;

/**
 * The designer's entry point to the module.
 *
 * <p>A real hook extends the SDK's {@code AbstractDesignerModuleHook}; see the gateway's hook for why
 * this one doesn't.
 */
public class ShiftClockDesignerHook {
    /** Returns the text that the designer shows for a shift. */
    public String label(ShiftPlan.Shift shift) {
        switch (shift) {
            case EARLY:
                return "Early shift, 06:00 to 14:00";
            case LATE:
                return "Late shift, 14:00 to 22:00";
            default:
                return "Night shift, 22:00 to 06:00";
        }
    }
}
