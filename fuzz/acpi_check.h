/*
 * acpi_check.h - what holds of struct acpi whatever the tables said; for the targets
 * acpi and acpi_tables.
 */
#ifndef FUZZ_ACPI_CHECK_H
#define FUZZ_ACPI_CHECK_H

#include "arch/x86_64/acpi.h"

#define BOOT_APIC_ID 2
#define MAX_APIC_ID 0xfffe

void acpi_check(const struct acpi *a);
/* A byte that makes the sum of the table's bytes 0, and its length, as size says. */
void acpi_seal(u8 *t, u32 size);

#endif
