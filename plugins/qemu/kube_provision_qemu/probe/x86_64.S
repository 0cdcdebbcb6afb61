# x86-64: 64-bit mode with paging, a counted loop over the stack, then one write to the debug-exit device. Linked at 0 of a
# 64 KiB ROM whose reset vector (0xfff0) holds `ljmp $0xf000, $0`.
# as --64 x86_64.S -o probe.o && ld -Ttext 0 -e 0 --oformat binary -o probe.bin probe.o
.code16
    cli
    movw %cs, %ax
    movw %ax, %ds
    # page tables at 0x1000, 0x2000, 0x3000: the first 2 MiB, identically
    xorw %ax, %ax
    movw %ax, %es
    movw $0x1000, %di
    movw $0x1800, %cx
    cld
    rep stosw
    movw $0x2003, %es:0x1000
    movw $0x3003, %es:0x2000
    movw $0x0083, %es:0x3000
    lgdtl pointer
    movl $0x20, %eax                # physical address extension
    movl %eax, %cr4
    movl $0x1000, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx          # EFER: long mode
    rdmsr
    orl $0x100, %eax
    wrmsr
    movl $0x80000011, %eax          # paging, protected mode
    movl %eax, %cr0
    ljmpl $8, $0xf0000 + long_mode
.code64
long_mode:
    movl $16, %eax
    movl %eax, %ss
    movl $0x8000, %esp
    movl $10000000, %ecx            # turns
1:  pushq %rcx
    popq %rcx
    decl %ecx
    jnz 1b
    movb $0x10, %al
    outb %al, $0xf4
2:  hlt
    jmp 2b
.balign 8
table:
    .quad 0
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
pointer:
    .word . - table - 1
    .long 0xf0000 + table
