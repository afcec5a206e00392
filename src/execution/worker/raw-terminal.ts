/** For clients of a container with a terminal. */
export { makeRaw } from '#ground/linux/pseudo-terminal.ts';
