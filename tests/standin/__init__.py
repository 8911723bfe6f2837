"""
A stand-in for AWS on this machine: Debian machines that boot, behind security groups that hold. Linux with root only.

- image: the Debian that machines start from, made once and kept
- packets: rules of the region's router, for nftables
- region: the router and its machines, one process tree that nothing survives
- keeper: the region's foot on this machine: link, routes, and how long it lives
- distance: a slower link, on demand
- machines: the calls, and the command line ``python -m standin.machines``
- engine: the real Pulumi engine
- aws, provider: what pulumi-resource-aws would be
"""
