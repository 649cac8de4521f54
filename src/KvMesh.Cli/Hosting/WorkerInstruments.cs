using System.Diagnostics.Metrics;
using KvMesh.Worker.Roles;

namespace KvMesh.Cli.Hosting;

/// <summary>What a worker's generator did, as instruments that a scraper's visit reads.</summary>
internal static class WorkerInstruments
{
    public static void Add(Meter meter, Func<WorkerFigures> read)
    {
        meter.CreateObservableGauge("kvmesh.worker.generator.running", () => read().Serving.Running, "{request}", "Requests that have blocks.");
        meter.CreateObservableGauge("kvmesh.worker.generator.waiting", () => read().Serving.Waiting, "{request}", "Requests that wait for blocks.");
        Count("kvmesh.worker.passes", "{pass}", "Passes through the model.", figures => figures.Serving.Passes);
        Count("kvmesh.worker.computed.tokens", "{token}", "Tokens whose keys and values were computed.", figures => figures.Serving.ComputedTokens);
        Count("kvmesh.worker.lost_prefixes", "{prefix}", "Prefixes that were on their way and did not come, so that they were computed here.", figures => figures.Serving.LostPrefixes);
        Count("kvmesh.worker.pulled.blocks", "{block}", "Blocks that were pulled whole.", figures => figures.Mesh.PulledBlocks);
        Count("kvmesh.worker.followed.blocks", "{block}", "Blocks that came by section from a prefill worker.", figures => figures.Mesh.FollowedBlocks);
        Count("kvmesh.worker.pulled", "By", "Bytes of blocks that were pulled or followed.", figures => figures.Mesh.PulledBytes);
        Count("kvmesh.worker.delegated_prompts", "{prompt}", "Prompts whose missing blocks another worker computed.", figures => figures.Mesh.DelegatedPrompts);
        Count("kvmesh.worker.failed_delegations", "{prompt}", "Prompts that another worker was to compute and this one did.", figures => figures.Mesh.FailedDelegations);
        Count("kvmesh.worker.published.blocks", "{block}", "Blocks that were published, or were there already.", figures => figures.Mesh.PublishedBlocks);
        Count("kvmesh.worker.dropped.blocks", "{block}", "Blocks that were not published.", figures => figures.Mesh.DroppedBlocks);
        Count("kvmesh.worker.announced.blocks", "{block}", "Blocks of the worker's memory that its node was told of.", figures => figures.Mesh.AnnouncedBlocks);
        Count("kvmesh.worker.handed_over.blocks", "{block}", "Parts of those that the node took.", figures => figures.Mesh.HandedOverBlocks);
        Count("kvmesh.worker.forgotten.blocks", "{block}", "Blocks that the worker let go because they were removed in the mesh.", figures => figures.Mesh.ForgottenBlocks);
        Count("kvmesh.worker.parked_sequences", "{sequence}", "Answers behind which their sequence was parked.", figures => figures.Mesh.ParkedSequences);
        Count("kvmesh.worker.unkept_sequences", "{sequence}", "Answers whose sequence was not kept.", figures => figures.Mesh.UnkeptSequences);

        void Count(string name, string unit, string description, Func<WorkerFigures, long> figure) =>
            meter.CreateObservableCounter(name, () => figure(read()), unit, description);
    }
}
