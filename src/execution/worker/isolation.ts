/** The ladder as the engine speaks of it: it asks a worker for a rung and never looks at the kernel itself. */
export { describeRung, parseIsolation, type IsolationWish } from '#ground/linux/isolation.ts';
