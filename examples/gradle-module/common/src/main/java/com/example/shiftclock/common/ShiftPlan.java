package com.example.shiftclock.common;

import java.time.LocalTime;

/** A plan of three shifts, shared by the gateway and the designer. */
public final class ShiftPlan {
    private static final LocalTime EARLY = LocalTime.of(6, 0);
    private static final LocalTime LATE = LocalTime.of(14, 0);
    private static final LocalTime NIGHT = LocalTime.of(22, 0);

    private ShiftPlan() {
    }

    /** The shifts; the night shift runs past midnight. */
    public enum Shift {
        EARLY, LATE, NIGHT
    }

    /** Returns the shift that {@code time} belongs to; a shift includes its first minute. */
    public static Shift shiftAt(LocalTime time) {
        if (time.isBefore(EARLY) || !time.isBefore(NIGHT)) {
            return Shift.NIGHT;
        }
        return time.isBefore(LATE) ? Shift.EARLY : Shift.LATE;
    }
}
