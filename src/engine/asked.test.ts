import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rememberedWords } from './asked.ts';

test('a command line that holds a secret is not written down', () => {
  const kept = [
    ['-t', 'app', '--build-arg', 'VERSION=1', '--secret', 'id=key,src=key', '.'],
    ['--cache-from', 'type=s3,region=r,bucket=b,name=n', '.'],
    ['ssh://git@example.com/app.git'],
    ['--build-arg=HTTP_PROXY=http://proxy:3128', '.'],
  ];
  for (const words of kept) assert.ok(asks(...words), words.join(' '));
  const secret = [
    ['--label', 'a=hidden', '.'],
    ['--build-arg', 'API_TOKEN=x', '.'],
    ['--build-arg=API_TOKEN=x', '.'],
    ['--build-arg', 'HTTP_PROXY=http://me:pass@proxy:3128', '.'],
    ['https://token@example.com/app.git'],
    ['ssh://me:pass@example.com/app.git'],
    ['--cache-to', 'type=s3,bucket=b,secret_access_key=x', '.'],
    ['--cache-to=type=s3,bucket=b,session_token=x', '.'],
    ['--cache-to', 'type=gha,token=x', '.'],
    ['--cache-to', 'type=gha,ghtoken=x', '.'],
  ];
  for (const words of secret) assert.ok(!asks(...words), words.join(' '));
});

function asks(...words: string[]): boolean {
  const request = { asked: { words, folder: '/' }, context: { kind: 'folder', path: '/' }, text: undefined } as const;
  return rememberedWords(request, (text) => text.replace('hidden', '***')) !== undefined;
}
