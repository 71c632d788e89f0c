/** The load generators by name. */

import { channel, channelSource } from './channel.js'
import { deactivate } from './deactivate.js'
import { drain } from './drain.js'
import { firstByte } from './first-byte.js'
import { publish } from './publish.js'
import { push } from './push.js'
import { revoke } from './revoke.js'
import { storm } from './storm.js'
import { visible } from './visible.js'

export const loads = { channel, channelSource, deactivate, drain, firstByte, publish, push, revoke, storm, visible }
export type Loads = typeof loads
