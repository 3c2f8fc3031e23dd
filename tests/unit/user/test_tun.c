/* SPDX-License-Identifier: BSD-2-Clause */
/* xesp0 in a namespace: set-up, both directions, one owner, and what stays when its owner ends. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "esp/wire.h"
#include "slow/check.h"
#include "slow/raw.h"
#include "slow/tun.h"
#include "tests/unit/user/namespace.h"
#include "xesp/fault.h"

static int wrong;

static void must(bool ok, const char *what)
{
	if (!ok)
		fprintf(stderr, "tun: failed: %s\n", what);
	wrong += !ok;
}

/* Reads what the kernel routes into the device; bytes, 0: nothing, though a busy machine had its time. */
static ssize_t next_packet(int fd, uint8_t *buf, size_t size)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n = poll(&p, 1, 20000) == 1 ? read(fd, buf, size) : 0;

	return n < 0 ? 0 : n;
}

/* UDP from 10.2.0.2 to `to`:7, over IPv4. */
static uint32_t make_udp(uint8_t *ip, uint32_t from, uint32_t to)
{
	static const char data[] = "from the tunnel";
	const uint32_t len = 20 + 8 + sizeof(data) - 1;

	memset(ip, 0, 28);
	ip[0] = 0x45;
	wire_put16(ip + 2, (uint16_t)len);
	ip[8] = 64;
	ip[9] = 17;
	wire_put32(ip + 12, from);
	wire_put32(ip + 16, to);
	wire_put16(ip + 10, check_fold(check_add(0, ip, 20)));
	wire_put16(ip + 20, 9);
	wire_put16(ip + 22, 7);
	wire_put16(ip + 24, (uint16_t)(len - 20)); /* no UDP checksum, which IPv4 allows */
	memcpy(ip + 28, data, sizeof(data) - 1);
	return len;
}

static void kernel_to_tun(int fd)
{
	uint8_t buf[2048];

	must(namespace_sh("echo hello | timeout 2 nc -u -w1 -s 10.1.0.1 10.2.0.2 7 & true"), "nc");
	must(next_packet(fd, buf, sizeof(buf)) == 20 + 8 + 6, "a datagram of 6 bytes");
	must(buf[0] == 0x45 && buf[9] == 17 && !memcmp(buf + 28, "hello\n", 6), "it is whole");
	must(namespace_sh("ping -c1 -W1 2001:db8:2::2 >/dev/null & true"), "ping");
	must(next_packet(fd, buf, sizeof(buf)) > 48 && buf[0] >> 4 == 6, "an IPv6 packet");
	must(buf[6] == 58 && buf[40] == 128, "and it is the ping, nothing of the kernel's own");
}

static void tun_to_kernel(int fd)
{
	uint8_t buf[2048], reply[2048];
	uint32_t len = make_udp(buf, 0x0a020002, 0x0a010001);

	/* Nobody listens on port 7: the kernel answers with an ICMP error, through the device. */
	must(write(fd, buf, len) == (ssize_t)len, "write");
	must(next_packet(fd, reply, sizeof(reply)) == 20 + 8 + (ssize_t)len, "an answer");
	must(reply[9] == 1 && reply[20] == 3 && reply[21] == 3, "port unreachable");
	must(!memcmp(reply + 28, buf, len), "that quotes the packet");
}

/* A raw packet is routed like any other of this machine: here, into the device. */
static void raw_to_tun(int fd)
{
	uint8_t buf[2048], got[2048];
	uint32_t len = make_udp(buf, 0x0a010001, 0x0a020003);
	uint8_t ip6[48] = { 0x60, 0, 0, 0, 0, 8, 59, 9 };
	struct raw raw;

	must(raw_open(&raw, 0, true, NULL) == 0, "raw_open");
	wire_put16(buf + 4, 0x1234);
	wire_put16(buf + 6, 0x4000); /* DF */
	wire_put16(buf + 10, 0);
	wire_put16(buf + 10, check_fold(check_add(0, buf, 20)));
	must(raw_send(&raw, buf, len) == 0, "raw IPv4");
	must(next_packet(fd, got, sizeof(got)) == (ssize_t)len && !memcmp(got, buf, len),
	     "raw IPv4 arrives as it was sent");
	memcpy(ip6 + 8, "\x20\x01\x0d\xb8\0\1\0\0\0\0\0\0\0\0\0\1", 16);
	memcpy(ip6 + 24, "\x20\x01\x0d\xb8\0\2\0\0\0\0\0\0\0\0\0\3", 16);
	must(raw_send(&raw, ip6, sizeof(ip6)) == 0, "raw IPv6");
	must(next_packet(fd, got, sizeof(got)) == sizeof(ip6) && !memcmp(got, ip6, sizeof(ip6)),
	     "raw IPv6 arrives as it was sent");
	must(tun_set_mtu("xesp0", 1280, NULL) == 0, "tun_set_mtu");
	must(namespace_sh("ip link show xesp0 | grep -q 'mtu 1280 '"), "the device's MTU");
	memset(buf + 28, 0, sizeof(buf) - 28);
	must(raw_send(&raw, buf, 1281) == -EMSGSIZE, "one byte too many is refused, with DF");
	wire_put16(buf + 6, 0);
	must(raw_send(&raw, buf, 1281) == -EMSGSIZE, "and without");
	must(raw_send(&raw, buf, 19) == -EINVAL, "a header cut off");
	buf[0] = 0x55;
	must(raw_send(&raw, buf, 100) == -EINVAL, "neither IPv4 nor IPv6");
	raw_close(&raw);
}

static void refusals(void)
{
	struct fault f = { "" };
	pid_t other;
	int status;

	other = fork();
	if (other == 0) /* another process: the device has one owner */
		_exit(tun_open("xesp0", &f) == -EBUSY && strstr(f.text, "another process") ? 0 : 1);
	waitpid(other, &status, 0);
	must(status == 0, "EBUSY, with a sentence");
	must(tun_open("lo", &f) == -EINVAL && strstr(f.text, "not a TUN"),
	     "lo is not a TUN device");
	must(tun_open("a-name-that-is-too-long", &f) == -ENAMETOOLONG, "a name that is too long");
}

static int whole_life(void)
{
	struct fault f = { "" };
	uint8_t buf[64];
	int fd = tun_open("xesp0", &f);

	if (fd < 0) {
		fprintf(stderr, "tun: %s\n", f.text);
		return 1;
	}
	must(namespace_sh("ip -o link show xesp0 | grep -q '<POINTOPOINT,NOARP,UP,LOWER_UP>'"),
	     "up, and without multicast");
	must(!namespace_sh("ip -6 addr show dev xesp0 | grep -q inet6"), "no address of its own");
	/* Routers join more groups, but say nothing of it here. */
	must(namespace_sh("sysctl -qw net.ipv6.conf.all.forwarding=1"), "forwarding");
	must(namespace_sh(
		     "ip addr add 10.1.0.1/32 dev lo && ip addr add 2001:db8:1::1/128 dev lo &&"
		     "ip route add 10.2.0.0/24 dev xesp0 &&"
		     "ip route add 2001:db8:2::/64 dev xesp0"),
	     "addresses and routes");
	must(read(fd, buf, sizeof(buf)) < 0 && errno == EAGAIN, "silence, and no blocking");
	kernel_to_tun(fd);
	tun_to_kernel(fd);
	raw_to_tun(fd);
	refusals();
	close(fd);

	/* Its owner is gone: the device and its routes stay, and lead nowhere. */
	must(namespace_sh("ip route get 10.2.0.2 | grep -q 'dev xesp0'"), "the route stays");
	must(!namespace_sh("ping -c1 -W1 10.2.0.2 >/dev/null 2>&1"), "and leads nowhere");
	fd = tun_open("xesp0", &f);
	must(fd >= 0, "the next owner takes it");
	kernel_to_tun(fd);
	close(fd);
	return wrong;
}

static void life(void)
{
	CU_ASSERT_TRUE(namespace_run(whole_life));
}

CU_TestInfo tun_tests[] = {
	{ "set-up, both directions, raw packets into it, one owner, and after it", life },
	CU_TEST_INFO_NULL,
};
