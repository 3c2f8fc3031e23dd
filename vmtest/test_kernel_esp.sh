#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# xesp on one end and the kernel's ESP on the other, both directions, row by row of kernel_esp.cases.
# kernel_esp.py says what is asserted.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../tests/netns/topology.sh"
. "$(dirname "$0")/../tests/netns/gateway.sh"
. "$(dirname "$0")/kernel_gateway.sh"
need "$PYTHON"

topology_up
kernel_gateway gw2
write_config gw1
gateway_up gw1
run_rows "$(dirname "$0")/kernel_esp.cases"
