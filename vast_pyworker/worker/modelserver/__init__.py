"""The model server as a process and as a server: started, ended, asked, watched from outside.

What is not here: its log (``modellog``) and deciding what to make of all this (``phases``).
"""
