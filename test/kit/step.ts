/** A process as the steps of tests are: what is asked of a runtime, and what it said. */
import type { ExitStatus, ProcessRequest, Runtime } from '#execution/runtime/contract.ts';
import { nameFiles } from '#execution/runtime/dns.ts';

/** By root in the sandbox, without mounts, in a host called "inside" that knows one other. */
export function stepRequest(own: Pick<ProcessRequest, 'id' | 'rootfs' | 'arguments'> & Partial<ProcessRequest>): ProcessRequest {
  return {
    environment: ['PATH=/bin', 'HOME=/root'],
    workingDirectory: '/',
    user: { uid: 0, gid: 0, additionalGids: [] },
    security: 'sandbox',
    network: 'host',
    hostname: 'inside',
    terminal: false,
    stopSignal: 'SIGTERM',
    shmSize: null,
    mounts: [],
    names: nameFiles({ hostname: 'inside', extraHosts: ['db:10.0.0.7'], hostResolvConf: 'nameserver 192.0.2.1\n', isStep: true }),
    ...own,
  };
}

export type Said = { readonly status: ExitStatus; readonly out: string; readonly err: string };

/** Runs it to its end. */
export async function runStep(runtime: Runtime, request: ProcessRequest, signal: AbortSignal): Promise<Said> {
  const [out, err]: [Uint8Array[], Uint8Array[]] = [[], []];
  const status = await runtime.run(request, { kind: 'capture', stdout: put(out), stderr: put(err) }, signal);
  return { status, out: Buffer.concat(out).toString(), err: Buffer.concat(err).toString() };
}

function put(into: Uint8Array[]): (bytes: Uint8Array) => void {
  return (bytes) => void into.push(Buffer.from(bytes));
}
