import { splitPort } from '../convert/ports.ts';
import { about, stepsOf, type Rule } from './rule.ts';

export const exposeInvalidFormat: Rule = {
  name: 'ExposeInvalidFormat',
  summary: 'IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a future release',
  why: 'EXPOSE only notes which ports the container listens on. Addresses and ports of the host are chosen when it is run, so they have no effect here.',
  example: { bad: 'FROM alpine\nEXPOSE 127.0.0.1:80:8080', good: 'FROM alpine\nEXPOSE 8080' },
  *check(subject) {
    for (const { instruction, ports } of stepsOf(subject, 'expose')) {
      for (const port of ports) {
        const { address, hostPort } = splitPort(port);
        if (address === '' && hostPort === '') continue;
        yield about(
          instruction,
          `EXPOSE instruction should not define an IP address or host-port mapping, found '${port}'`,
          'Write the container port only, and map it with "run -p"',
        );
      }
    }
  },
};
