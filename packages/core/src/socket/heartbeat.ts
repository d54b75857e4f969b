// ZMTP heartbeats, answered by libzmq's own thread: a peer that is stopped or unplugged is gone in 2 s,
// while one whose JavaScript is busy stays connected.

export const heartbeat = {
  heartbeatInterval: 500,
  heartbeatTimeout: 1_500,
  heartbeatTimeToLive: 2_000,
} as const;

/** How long a closed socket goes on trying to send what it had taken. Longer would hold up the exit. */
export const lingerMs = 200;
