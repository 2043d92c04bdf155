"""The module names of 2024, for backends written then.

``from backend import GenericBackend``, ``import notify`` and the others mean the modules of this
package, but only in the source of a backend (``worker.contract.importing``). Signatures, attributes
and what travels on the wire are those of 2024. Nothing runs at import, no call is without a
timeout, and every thread is a daemon that stops. Nothing else in the project may import this
package.
"""
