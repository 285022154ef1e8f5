/** Which configurations may take the place of another one. */
import { ConfigurationError, type LoadedConfiguration } from '../config/load.ts';
import { restartProblems } from '../config/restart-problems.ts';
import type { RevocationStore } from '../revocation/revocation-store.ts';
import { droppedClaimProblems } from './dropped-claims.ts';

/** @throws ConfigurationError where what has changed needs a restart, or would forget revocations that are in force */
export async function refuseUnfit(
  store: RevocationStore,
  before: LoadedConfiguration,
  after: LoadedConfiguration,
): Promise<void> {
  const problems = [
    ...restartProblems(before.configuration, after.configuration),
    ...(await droppedClaimProblems(store, before.configuration, after.configuration)),
  ];
  if (problems.length > 0)
    throw new ConfigurationError(problems.map((problem) => `${after.file}: ${problem}`));
}
