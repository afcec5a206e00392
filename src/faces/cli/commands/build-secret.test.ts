import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSecret } from './build-secret.ts';

test('a secret is a file or a variable', () => {
  const around = { environment: { TOKEN: 'value', tok: 'own' }, currentFolder: '/here' };
  const shown = (given: string): string =>
    readSecret(given, around)
      .map(([id, request]) => `${id} ${request.kind === 'file' ? request.path : new TextDecoder().decode(request.value)}`)
      .join();
  assert.equal(shown('id=a,src=f'), 'a /here/f');
  assert.equal(shown('id=a,source=/abs/f,type=file'), 'a /abs/f');
  assert.equal(shown('id=a,env=TOKEN'), 'a value');
  assert.equal(shown('type=env,id=a,src=TOKEN'), 'a value');
  assert.equal(shown('id=tok'), 'tok own');
  assert.equal(shown('id=tok,type=file'), 'tok /here/tok');
  assert.equal(shown('id=other'), 'other /here/other');
  assert.equal(shown('id=a,env=GONE'), '');
  for (const bad of ['', 'a', 'src=f', 'id=a,what=x', 'id=a,type=blob', 'id=a,src=f,env=TOKEN'])
    assert.throws(() => shown(bad), { code: 'cli/bad-value' });
});
