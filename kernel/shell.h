/*
 * shell.h - the prompt on the serial console.
 */
#ifndef KERNEL_SHELL_H
#define KERNEL_SHELL_H

/* Runs commands until `exit` or `reboot`; returns the status to exit with, which
 * is `status` if no job or test has run. CPU 0, thread context. */
int shell_run(int status);

#endif
