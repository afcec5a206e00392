import { splitPort } from '../convert/ports.ts';
import { about, stepsOf, type Rule } from './rule.ts';

export const exposeProtoCasing: Rule = {
  name: 'ExposeProtoCasing',
  summary: 'Protocol in EXPOSE instruction should be lowercase',
  why: 'Protocols are compared as written by some tools: `80/TCP` and `80/tcp` may count as two ports.',
  example: { bad: 'FROM alpine\nEXPOSE 80/TCP', good: 'FROM alpine\nEXPOSE 80/tcp' },
  *check(subject) {
    for (const { instruction, ports } of stepsOf(subject, 'expose')) {
      for (const port of ports) {
        const { protocol } = splitPort(port);
        if (protocol !== protocol.toLowerCase())
          yield about(instruction, `Defined protocol '${port}' in EXPOSE instruction should be lowercase`, `Write "${port.toLowerCase()}"`);
      }
    }
  },
};
