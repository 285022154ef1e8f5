import { verifyProof, type ProofFault } from '../identity/proof-jws.ts';
import { textClaim } from '../token/claims.ts';
import { CommandFailed, print, readText, text, UsageError, type Command } from './command.ts';
import { proofKeysFrom } from './proof-key-source.ts';

const FAULTS: Readonly<Record<ProofFault, string>> = {
  malformed: 'is no JWS in the compact form',
  other_type: 'is no receipt: its typ is another',
  unknown_key:
    'is signed with a key that is not among those given; give the key of that time too (proof.previous_keys)',
  bad_signature: 'was changed, or is signed with another key: its signature is wrong',
};

export const receipt: Command = {
  name: 'receipt',
  summary: 'verifies a receipt of a revocation, and prints what it says',
  usage: `verify FILE --keys URL|FILE

      FILE                     the receipt; - is standard input
      --keys URL|FILE          public keys (JWK Set), such as
                               http://127.0.0.1:9090/.well-known/sallyport/proof-jwks.json

Exit code 1: it is not genuine.`,
  options: { keys: { type: 'string' } },
  positionals: { min: 2, max: 2 },
  async run(args) {
    const [action = '', file = ''] = args.positionals;
    if (action !== 'verify') throw new UsageError(`"${action}" is not verify; write verify FILE`);
    const source = text(args, 'keys');
    if (source === undefined)
      throw new UsageError('--keys is missing: without keys a receipt proves nothing');
    const proof = verifyProof(
      readText(file, 'receipt'),
      'revocation-receipt+jwt',
      await proofKeysFrom(source),
    );
    if ('fault' in proof) throw new CommandFailed(`${file} ${FAULTS[proof.fault]}`);
    const gateway = textClaim(proof.claims, 'gateway') ?? 'a gateway';
    print(`genuine: signed by ${gateway} with the key ${proof.keyId}`);
    print(JSON.stringify(proof.claims, null, 2));
    return 0;
  },
};
