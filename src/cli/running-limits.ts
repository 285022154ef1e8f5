/** What a running gateway knows of the limits of an imagined request, for `explain --online`: nothing else knows what is left. */
import type { ImaginedRequest } from '../explain/dry-run.ts';
import type { Explanation } from '../explain/explanation.ts';
import { AdminClient } from './admin-client.ts';
import { CommandFailed, type Arguments } from './command.ts';

const STEPS: ReadonlySet<string> = new Set(['limit_address', 'limit_caller']);

/** The explanation with what is left of its limits; where one of them refuses now, that of the running gateway. */
export async function withRunningLimits(
  explanation: Explanation,
  request: ImaginedRequest,
  args: Arguments,
): Promise<Explanation> {
  if (explanation.limits.length === 0) return explanation;
  try {
    const told = await askedGateway(request, args);
    if (told.code === 'rate_limited') return told;
    const stages = explanation.stages.map((stage) =>
      STEPS.has(stage.stage) ? (told.stages.find((other) => other.stage === stage.stage) ?? stage) : stage,
    );
    return { ...explanation, stages, limits: told.limits };
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    const stages = explanation.stages.map((stage) =>
      STEPS.has(stage.stage)
        ? { ...stage, detail: `${stage.detail}; what is left is not known: ${error.message}` }
        : stage,
    );
    return { ...explanation, stages };
  }
}

/** @throws CommandFailed where it cannot be asked */
async function askedGateway(request: ImaginedRequest, args: Arguments): Promise<Explanation> {
  const { method, token, dpop, peer } = request;
  const [, url] = args.positionals;
  const { body } = await new AdminClient(args).call('POST', '/v1/explain', {
    method,
    url,
    token,
    dpop,
    peer,
  });
  return body as Explanation;
}
