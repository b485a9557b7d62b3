// Loads the client and wakes the islands of the page, outer before inner.
(async (script, wasm) => {
	const mod = await import(script);
	await mod.default({ module_or_path: wasm });
	mod.hydrate();

	// What a parent island gives to the children that were passed to it is set before they wake.
	const parents = [];
	const wake = async (node) => {
		const tag = node.localName;
		if (tag === "leptos-island") {
			const island = mod[node.dataset.component];
			if (island) {
				parents.at(-1)?.();
				await island(node);
			} else {
				console.warn(`No island is called ${node.dataset.component}.`);
			}
		}
		if (tag === "leptos-children") parents.push(node.$$on_hydrate);
		for (const child of node.children) await wake(child);
		if (tag === "leptos-children") parents.pop();
	};
	await wake(document.body);
})
