import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ipv4Text, parseIPv4, parseSubnet, subnetText } from '#ground/base/ipv4.ts';
import { openDatabase } from '#stores/db/open.ts';
import { checkAddress, chooseAddress, chooseSubnet, firstAddress } from './addresses.ts';
import { addressOfPointer, answerAddresses, answerName, readQuestion } from './name-message.ts';
import { parseResolvConf, printResolvConf, reachableServers, withOwnServer } from './resolv-conf.ts';
import { openNetworkStore, type NetworkStore, type NewNetwork } from './store.ts';
import { networkTables } from './tables.ts';

const subnet = (text: string) => parseSubnet(text) ?? assert.fail(text);
const number = (text: string) => parseIPv4(text) ?? assert.fail(text);

test('a subnet is the first of the pools that has nothing in common with what there is', () => {
  assert.equal(subnetText(chooseSubnet([])), '172.17.0.0/16');
  assert.equal(subnetText(chooseSubnet([subnet('172.17.3.0/24'), subnet('172.16.0.0/14')])), '172.20.0.0/16');
  assert.equal(subnetText(chooseSubnet([subnet('172.16.0.0/12')])), '192.168.0.0/20');
  assert.throws(() => chooseSubnet([subnet('0.0.0.0/0')]), { code: 'network/no-subnet' });
});

test('the lowest free address, never the ends of the subnet nor the gateway', () => {
  const place = { name: 'n', subnet: subnet('10.1.0.0/29'), range: undefined, gateway: number('10.1.0.1') };
  assert.equal(ipv4Text(chooseAddress(place, new Set())), '10.1.0.2');
  assert.equal(ipv4Text(chooseAddress(place, new Set(['10.1.0.2', '10.1.0.4'].map(number)))), '10.1.0.3');
  const full = new Set(['10.1.0.2', '10.1.0.3', '10.1.0.4', '10.1.0.5', '10.1.0.6'].map(number));
  assert.throws(() => chooseAddress(place, full), { code: 'network/no-address' });
  assert.equal(ipv4Text(chooseAddress({ ...place, range: subnet('10.1.0.4/30') }, new Set())), '10.1.0.4');
  assert.throws(() => checkAddress(number('10.1.0.1'), place, new Set()), { code: 'network/bad-address' });
  assert.throws(() => checkAddress(number('10.2.0.3'), place, new Set()), /no configured subnet/u);
  assert.throws(() => checkAddress(number('10.1.0.3'), place, new Set([number('10.1.0.3')])), /already in use/u);
});

/** A question as a resolver puts it, with an OPT record behind it. */
function question(name: string, type: number): Uint8Array {
  const labels = name.split('.').flatMap((label) => [label.length, ...new TextEncoder().encode(label)]);
  return Uint8Array.of(0xab, 0xcd, 1, 0x20, 0, 1, 0, 0, 0, 0, 0, 1, ...labels, 0, 0, type, 0, 1, 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0);
}

test('names: a question is read, and answered with its own name and no record that was not asked for', () => {
  const message = question('Web.Front', 1);
  const asked = readQuestion(message) ?? assert.fail('no question');
  assert.deepEqual([asked.id, asked.name, asked.type], [0xabcd, 'web.front', 1]);
  const answer = answerAddresses(message, asked, [number('10.1.0.2'), number('10.1.0.3')]);
  assert.deepEqual([...answer.subarray(0, 12)], [0xab, 0xcd, 0x81, 0x80, 0, 1, 0, 2, 0, 0, 0, 0]);
  assert.deepEqual([...answer.subarray(-4)], [10, 1, 0, 3]);
  assert.equal(answer.length, asked.end + 2 * 16);
  assert.equal(readQuestion(answer), undefined, 'an answer is no question');
  assert.equal(addressOfPointer('2.0.17.172.in-addr.arpa'), '172.17.0.2');
  assert.equal(addressOfPointer('256.0.17.172.in-addr.arpa'), undefined);
  assert.match(new TextDecoder().decode(answerName(message, asked, 'db.front')), /\u0002db\u0005front\0$/u);
});

test('names: what is cut off, points elsewhere or asks for more is no question', () => {
  const whole = question('db', 1);
  for (let size = 0; size < 12 + 4 + 4; size++) assert.equal(readQuestion(whole.subarray(0, size)), undefined, String(size));
  const pointing = Uint8Array.from(whole);
  pointing[12] = 0xc0;
  assert.equal(readQuestion(pointing), undefined);
  const several = Uint8Array.from(whole);
  several[5] = 2;
  assert.equal(readQuestion(several), undefined);
});

test('resolv.conf: name servers of the own lo are out of reach, and ours takes their place', () => {
  const host = parseResolvConf(
    '# made by x\nnameserver 127.0.0.53\nnameserver 10.0.0.1 # near\nnameserver fe80::1\ndomain a.example\nsearch b.example c.example\noptions edns0 ndots:2\n',
  );
  assert.deepEqual(reachableServers(host), ['10.0.0.1']);
  assert.equal(
    printResolvConf(withOwnServer(host, '127.0.0.11')),
    'nameserver 127.0.0.11\nsearch b.example c.example\noptions edns0 ndots:0\n',
  );
  assert.equal(printResolvConf(parseResolvConf('')), '');
});

const plain: NewNetwork = {
  name: 'n',
  driver: 'bridge',
  created: 1,
  subnet: undefined,
  isAutomatic: true,
  gateway: undefined,
  range: undefined,
  isInternal: false,
  labels: {},
};

function withStore(running: ReadonlySet<string>, act: (store: NetworkStore) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'jettison-networks-'));
  try {
    using database = openDatabase({ file: join(folder, 'test.db'), migrations: [networkTables] });
    act(
      openNetworkStore(
        database,
        (container) => running.has(container),
        () => 1,
      ),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const lowest = (taken: ReadonlySet<number>): number => [2, 3, 4].find((one) => !taken.has(one)) ?? 0;

test('addresses of containers that do not run any more are given to others', () => {
  const running = new Set(['a', 'b']);
  withStore(running, (store) => {
    const { id } = store.create({ ...plain, subnet: subnet('10.1.0.0/24'), gateway: firstAddress(subnet('10.1.0.0/24')) });
    const enter = (container: string): number => store.join({ container, network: id, names: [container] }, lowest).address;
    assert.deepEqual([enter('a'), enter('b')], [2, 3]);
    running.delete('a');
    assert.deepEqual(
      store.endpoints(id).map(({ container }) => container),
      ['b'],
    );
    running.add('c');
    assert.equal(enter('c'), 2);
    store.openPorts('b', [{ address: '0.0.0.0', host: 80, port: 80, protocol: 'tcp' }]);
    assert.deepEqual([...store.ports().keys()], ['b']);
    running.delete('b');
    assert.equal(store.ports().size, 0);
  });
});

test('networks by name and id; three are always there', () => {
  withStore(new Set(), (store) => {
    assert.deepEqual(
      store.list().map(({ name, driver }) => `${name} ${driver}`),
      ['bridge bridge', 'host host', 'none null'],
    );
    const made = store.create({ ...plain, labels: { a: 'b' }, isInternal: true });
    assert.deepEqual(store.find(made.id.slice(0, 12)), made);
    assert.deepEqual(store.find('n'), made);
    assert.throws(() => store.create(plain), { code: 'network/name-taken', message: 'network with name n already exists' });
    assert.throws(() => store.create({ ...plain, name: '-x' }), { code: 'network/bad-name' });
    store.remove(made.id);
    assert.equal(store.find('n'), undefined);
  });
});
