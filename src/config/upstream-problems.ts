/** What a schema cannot say about upstreams: keys that exclude each other or the protocol of a target. Pure. */
import type { Problem } from './problem.ts';
import { listOf, rawOf, textOf, type Path, type Raw } from './raw-document.ts';

/** The URLs of its targets, as they were written. */
export function targetUrls({ targets }: Raw): string[] {
  return listOf(targets).map((target) => textOf(typeof target === 'string' ? target : rawOf(target)['url']));
}

export function upstreamProblems(upstream: Raw, path: Path): Problem[] {
  return [
    ...tlsProblems(upstream, [...path, 'tls']),
    ...protocolProblems(upstream, [...path, 'protocol']),
    ...healthProblems(upstream, [...path, 'health']),
  ];
}

function tlsProblems(upstream: Raw, path: Path): Problem[] {
  const spoken = targetUrls(upstream).some((url) => /^(?:srv\+)?(?:https|h2):/i.test(url));
  return upstream['tls'] === undefined || spoken
    ? []
    : [
        {
          path,
          atKey: true,
          message: 'has no meaning without a target that is https:// or h2://; use that, or remove it',
        },
      ];
}

function protocolProblems(upstream: Raw, path: Path): Problem[] {
  const other = targetUrls(upstream).find((url) => !/^(?:srv\+)?https:/i.test(url));
  return upstream['protocol'] === undefined || other === undefined
    ? []
    : [
        {
          path,
          atKey: true,
          message: `lets a server choose when TLS begins, and ${other} leaves no choice; use https:// targets, or remove it`,
        },
      ];
}

function healthProblems(upstream: Raw, path: Path): Problem[] {
  if (upstream['health'] === undefined) return [];
  const { path: asked, grpc } = rawOf(upstream['health']);
  if (asked === undefined && grpc === undefined)
    return [{ path, message: 'does not say what to ask a target; add path, or grpc for gRPC servers' }];
  if (grpc === undefined) return [];
  const problem = (message: string): Problem[] => [{ path: [...path, 'grpc'], atKey: true, message }];
  if (asked !== undefined) return problem('asks by gRPC, and path by GET; remove one of them');
  const other = targetUrls(upstream).find((url) => !/^(?:srv\+)?h2c?:/i.test(url));
  return other === undefined || upstream['protocol'] === 'auto'
    ? []
    : problem(`needs HTTP/2, which the target ${other} does not speak; make it h2c:// or h2://, or use path`);
}
