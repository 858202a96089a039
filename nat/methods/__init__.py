"""The compared methods: each trains a network on the same store and hands on the same folder."""
