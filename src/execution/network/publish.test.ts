import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseExposed, parsePublished } from './publish.ts';

const brief = (text: string): string =>
  parsePublished(text)
    .map(
      ({ address, host, port, protocol }) =>
        `${address ?? '*'}:${host === null ? 'any' : [...new Set(host)].join('-')}:${port}/${protocol}`,
    )
    .join(' ');

test('the forms of -p', () => {
  const forms: readonly (readonly [string, string])[] = [
    ['80', '*:any:80/tcp'],
    ['8080:80', '*:8080:80/tcp'],
    ['8080:80/UDP', '*:8080:80/udp'],
    ['127.0.0.1:8080:80', '127.0.0.1:8080:80/tcp'],
    ['127.0.0.1::80', '127.0.0.1:any:80/tcp'],
    ['[::1]:8080:80', '::1:8080:80/tcp'],
    ['8000-8001:80-81', '*:8000:80/tcp *:8001:81/tcp'],
    ['8000-8010:80', '*:8000-8010:80/tcp'],
    ['80-81', '*:any:80/tcp *:any:81/tcp'],
    ['published=8080,target=80,protocol=udp', '*:8080:80/udp'],
  ];
  for (const [text, parsed] of forms) assert.equal(brief(text), parsed, text);
});

test('what is none is refused in the words of docker', () => {
  const wrong: readonly (readonly [string, string])[] = [
    ['8080:', 'no port specified: 8080:<empty>'],
    ['x:80', 'Invalid hostPort: x'],
    ['80:x', 'Invalid containerPort: x'],
    ['80:0', 'Invalid containerPort: 0'],
    ['65536:80', 'Invalid hostPort: 65536'],
    ['80:80/http', 'Invalid proto: http'],
    ['80:80/sctp', 'Invalid proto: sctp'],
    ['8000-8001:80-82', 'invalid ranges specified for container and host Ports: 80-82 and 8000-8001'],
    ['300.0.0.1:80:80', 'Invalid ip address: 300.0.0.1'],
    ['1:2:3:4', 'Invalid ip address: 1:2'],
    ['82-80', 'Invalid containerPort: 82-80'],
    ['published=1,target=2,color=red', 'invalid field key color'],
  ];
  for (const [text, message] of wrong) assert.throws(() => parsePublished(text), { code: 'network/bad-port', message }, text);
});

test('ranges of --expose are each of their ports', () => {
  assert.deepEqual(parseExposed('8000-8002/udp'), ['8000/udp', '8001/udp', '8002/udp']);
  assert.deepEqual(parseExposed('80'), ['80/tcp']);
  assert.throws(() => parseExposed('8080:80'), { code: 'network/bad-port' });
});
