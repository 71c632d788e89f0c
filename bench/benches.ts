/** The benches, in the order in which they are run. */
import type { Bench } from './bench.js'
import { catchUp } from './rows/catch-up.js'
import { deactivation } from './rows/deactivation.js'
import { decisions } from './rows/decisions.js'
import { fanout } from './rows/fanout.js'
import { firstBytes } from './rows/first-byte.js'
import { growth } from './rows/growth.js'
import { idleNodes } from './rows/idle-nodes.js'
import { image } from './rows/image.js'
import { indexes } from './rows/index.js'
import { installs } from './rows/install.js'
import { loginStorm } from './rows/login-storm.js'
import { rss } from './rows/memory.js'
import { meshChannel } from './rows/mesh-channel.js'
import { meshNode } from './rows/mesh-node.js'
import { meshSmall } from './rows/mesh-small.js'
import { meshSwarm } from './rows/mesh-swarm.js'
import { nodeStart } from './rows/node-start.js'
import { offline } from './rows/offline.js'
import { packument } from './rows/packument.js'
import { publishes } from './rows/publish.js'
import { pushes } from './rows/push.js'
import { revocation } from './rows/revocation.js'
import { searches } from './rows/search.js'
import { simulation } from './rows/simulation.js'
import { startAndIdle } from './rows/start.js'
import { tarball } from './rows/tarball.js'
import { upstreams } from './rows/upstream.js'
import { virtuals } from './rows/virtual.js'
import { visibility } from './rows/visible.js'

export const benches: readonly Bench[] = [
  packument,
  indexes,
  virtuals,
  tarball,
  image,
  pushes,
  rss,
  publishes,
  fanout,
  firstBytes,
  visibility,
  revocation,
  deactivation,
  startAndIdle,
  upstreams,
  installs,
  loginStorm,
  decisions,
  searches,
  growth,
  meshSwarm,
  meshChannel,
  meshSmall,
  meshNode,
  offline,
  idleNodes,
  nodeStart,
  catchUp,
  simulation,
]
