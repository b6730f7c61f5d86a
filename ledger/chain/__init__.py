"""The chain: the only package that knows web3 and eth-tester."""
