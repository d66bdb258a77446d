// SPDX-License-Identifier: MIT
// Uses the library from C++: pick SERVICE KEY... prints the instance of each sticky key. The registry
// is $ROLLCALL_ADDR.
#include <rollcall.h>

#include <cstdlib>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>

namespace
{

struct Close {
	void operator()(rollcall_client *client) const
	{
		(void)rollcall_close(client, 1000);
	}
};

using Client = std::unique_ptr<rollcall_client, Close>;

void check(int r)
{
	if (r < 0)
		throw std::runtime_error(rollcall_error_text(r));
}

Client open_client(const char *registry)
{
	rollcall_options options;
	rollcall_client *client = nullptr;

	rollcall_options_init(&options);
	options.registry = registry;
	options.strategy = rollcall_strategy_named("consistent_hash");
	check(rollcall_open(&options, &client));
	return Client(client);
}

std::string pick(const Client &client, const char *service, const char *key)
{
	rollcall_endpoint endpoint;

	rollcall_endpoint_init(&endpoint);
	check(rollcall_discover(client.get(), service, key, &endpoint));
	return endpoint.id;
}

} // namespace

int main(int argc, char **argv)
{
	if (argc < 3) {
		std::cerr << "usage: pick SERVICE KEY...\n";
		return 2;
	}
	try {
		Client client = open_client(std::getenv("ROLLCALL_ADDR"));
		for (int i = 2; i < argc; i++)
			std::cout << argv[i] << ' ' << pick(client, argv[1], argv[i]) << '\n';
	} catch (const std::exception &error) {
		std::cerr << "pick: " << error.what() << '\n';
		return 1;
	}
	return 0;
}
