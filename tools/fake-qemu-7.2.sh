#!/bin/sh
# fake-qemu-7.2.sh - for a test: says it is QEMU 7.2, which tools/qemu.sh must refuse.
echo "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)"
