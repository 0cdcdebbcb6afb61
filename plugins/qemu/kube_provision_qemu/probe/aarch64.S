# aarch64: a counted loop, then PSCI's SYSTEM_OFF. Linked at 0, where machine `virt` starts.
# as aarch64.S -o probe.o && objcopy -O binary -j .text probe.o probe.bin
    movz w1, #0x98, lsl #16         // 9 961 472 turns
1:  subs w1, w1, #1
    b.ne 1b
    movz w0, #0x8400, lsl #16
    movk w0, #0x0008
    hvc #0
2:  wfi
    b 2b
