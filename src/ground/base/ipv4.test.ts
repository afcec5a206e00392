import assert from 'node:assert/strict';
import { test } from 'node:test';
import { broadcastOf, ipv4Bytes, ipv4FromBytes, ipv4Text, isWithin, maskOf, overlap, parseIPv4, parseSubnet, subnetText } from './ipv4.ts';

const subnet = (text: string) => parseSubnet(text) ?? assert.fail(text);

test('addresses are read and written, and what some read as octal is none', () => {
  for (const text of ['0.0.0.0', '255.255.255.255', '172.17.0.1', '10.0.200.3']) {
    const number = parseIPv4(text) ?? assert.fail(text);
    assert.equal(ipv4Text(number), text);
    assert.equal(ipv4FromBytes(ipv4Bytes(number)), number);
  }
  for (const text of ['', '1.2.3', '1.2.3.4.5', '256.0.0.1', '01.2.3.4', '1.2.3.4 ', '::1', '1.2.3.-4'])
    assert.equal(parseIPv4(text), undefined, text);
});

test('networks: the bits behind the prefix go, and the edges are right', () => {
  assert.equal(subnetText(subnet('172.17.5.9/16')), '172.17.0.0/16');
  assert.equal(subnetText(subnet('255.255.255.255/0')), '0.0.0.0/0');
  assert.equal(ipv4Text(broadcastOf(subnet('192.168.16.0/20'))), '192.168.31.255');
  assert.equal(maskOf(0), 0);
  assert.equal(maskOf(32), 0xffffffff);
  for (const text of ['1.2.3.4', '1.2.3.4/33', '1.2.3/8', '1.2.3.4/-1']) assert.equal(parseSubnet(text), undefined, text);
});

test('networks overlap when one holds the other, whichever is larger', () => {
  assert.ok(overlap(subnet('10.0.0.0/8'), subnet('10.200.0.0/24')));
  assert.ok(overlap(subnet('10.200.0.0/24'), subnet('10.0.0.0/8')));
  assert.ok(overlap(subnet('200.1.0.0/16'), subnet('200.1.0.0/16')));
  assert.ok(!overlap(subnet('172.17.0.0/16'), subnet('172.18.0.0/16')));
  assert.ok(isWithin(parseIPv4('200.1.255.255') ?? 0, subnet('200.1.0.0/16')));
  assert.ok(!isWithin(parseIPv4('200.2.0.0') ?? 0, subnet('200.1.0.0/16')));
});
