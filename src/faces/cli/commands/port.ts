import { portsOf, type OpenPort } from '#engine/networks.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { printAddress } from '../output/ports.ts';

export const portCommand = defineCommand({
  name: 'port',
  summary: 'List port mappings or a specific mapping for the container',
  usage: 'CONTAINER [PRIVATE_PORT[/PROTO]]',
  options: {},
  arguments: [1, 2],
  async run({ arguments: [container = '', asked] }, around) {
    await using engine = await engineFor(around);
    const ports = (await portsOf(engine, container)).toSorted(byPort);
    const found = asked === undefined ? ports : chosen(ports, asked, container);
    const line = (one: OpenPort): string =>
      asked === undefined ? `${one.port}/${one.protocol} -> ${printAddress(one)}` : printAddress(one);
    around.streams.stdout.write(found.map((one) => `${line(one)}\n`).join(''));
    return 0;
  },
});

function byPort(one: OpenPort, other: OpenPort): number {
  return one.port - other.port || one.protocol.localeCompare(other.protocol);
}

function chosen(ports: readonly OpenPort[], asked: string, container: string): readonly OpenPort[] {
  const [port = '', protocol = 'tcp'] = asked.split('/');
  if (!/^\d{1,5}$/u.test(port)) throw new JettisonError('cli/no-such-port', `invalid port (${asked}): use a number, "80" or "53/udp"`);
  const found = ports.filter((one) => String(one.port) === port && one.protocol === protocol);
  if (found.length > 0) return found;
  throw new JettisonError('cli/no-such-port', `No public port '${asked}' published for ${container}`, {
    hint: `"jettison port ${container}" lists what there is`,
  });
}
