import { splitPort } from '../convert/ports.ts';
import { about, type Rule } from './rule.ts';

export const exposeProtoCasing: Rule = {
  name: 'ExposeProtoCasing',
  summary: 'Protocol in EXPOSE instruction should be lowercase',
  *check({ stages }) {
    for (const { instruction, ports } of stages.flatMap(({ steps }) => steps)) {
      for (const port of ports) {
        const { protocol } = splitPort(port);
        if (protocol !== protocol.toLowerCase())
          yield about(instruction, `Defined protocol '${port}' in EXPOSE instruction should be lowercase`, `Write "${port.toLowerCase()}"`);
      }
    }
  },
};
