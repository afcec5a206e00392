/** What networks containers get on this machine: tried in a namespace that is gone afterwards, so that nothing of the machine's own is touched. */
import { parseSubnet } from '#ground/base/ipv4.ts';
import { writeBridgeRules } from '#ground/linux/firewall.ts';
import { SystemCallError } from '#ground/linux/libc.ts';
import { makeBridge } from '#ground/linux/links.ts';
import { openNetlink } from '#ground/linux/netlink.ts';
import { makeNetworkNamespace } from '#ground/linux/network-namespace.ts';
import { findUserNetworkProgram, obstacleToUserNetwork } from './user-network.ts';

/** One line for `doctor`, with what to install. */
export function describeNetworks(environment: Readonly<Record<string, string | undefined>>): string {
  if (process.getuid?.() === 0) return describeBridges();
  const program = findUserNetworkProgram(environment);
  if (program === undefined) return "the host's; for one of their own, and -p: apt install passt (or: apt install slirp4netns)";
  const obstacle = obstacleToUserNetwork();
  return obstacle === undefined ? `one of their own by ${program.name}` : `the host's: ${program.name} is here, but ${obstacle}`;
}

function describeBridges(): string {
  let step = 'no network namespaces';
  try {
    using namespace = makeNetworkNamespace();
    step = 'no bridges';
    namespace.within(() => {
      using netlink = openNetlink('route');
      makeBridge(netlink, { name: 'jet-try', mac: Uint8Array.of(2, 0, 0, 0, 0, 1) });
    });
    step = 'bridges, but no way out of them: no rules of nf_tables';
    namespace.within(() => {
      using firewall = openNetlink('firewall');
      writeBridgeRules(firewall, { table: 'jettison-try', bridge: 'jet-try', siblings: 'jet-', leaves: parseSubnet('10.0.0.0/8') });
    });
    return 'a bridge with a way out';
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    return `${step} (${error.code})`;
  }
}
