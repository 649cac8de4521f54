using System.Diagnostics;

namespace KvMesh.Cluster.Loading;

/// <summary>Puts a plan on its span: what was measured, what was compared, and each part with its reason.</summary>
internal static class PlanTrace
{
    /// <summary>Parts that one span names at most; a tag tells how many it leaves out.</summary>
    public const int MaxParts = 256;

    public static void Explain(Activity? activity, ReadInput input, ReadPlan plan)
    {
        if (activity is null)
        {
            return;
        }

        activity.SetTag("kvmesh.plan.blocks", plan.Blocks.Length);
        activity.SetTag("kvmesh.plan.computed_blocks", plan.ComputedBlocks);
        activity.SetTag("kvmesh.plan.split_block", plan.SplitBlock);
        activity.SetTag("kvmesh.plan.fetched_bytes", plan.FetchedBytes);
        activity.SetTag("kvmesh.plan.time_s", plan.Time.TotalSeconds);
        activity.SetTag("kvmesh.plan.compute_all_s", plan.ComputeAllTime.TotalSeconds);
        activity.SetTag("kvmesh.plan.fetch_all_s", plan.FetchAllTime.TotalSeconds);
        activity.SetTag("kvmesh.plan.worker_free_s", input.WorkerFreeIn.TotalSeconds);
        activity.SetTag("kvmesh.plan.seconds_per_token", input.Prefill.SecondsPerToken);
        activity.SetTag("kvmesh.plan.seconds_per_squared_token", input.Prefill.SecondsPerSquaredToken);
        activity.SetTag("kvmesh.plan.seconds_per_pass", input.Prefill.SecondsPerPass);
        if (input.Deadline != Timeout.InfiniteTimeSpan)
        {
            activity.SetTag("kvmesh.plan.deadline_s", input.Deadline.TotalSeconds);
        }

        foreach (var source in input.Sources)
        {
            activity.AddEvent(new ActivityEvent("source", tags: new()
            {
                ["kvmesh.source"] = source.Name,
                ["kvmesh.source.kind"] = source.Kind.ToString(),
                ["kvmesh.source.bytes_per_second"] = source.BytesPerSecond,
                ["kvmesh.source.latency_s"] = source.Latency.TotalSeconds,
                ["kvmesh.source.queued_bytes"] = source.QueuedBytes,
            }));
        }

        foreach (var part in plan.Parts.Take(MaxParts))
        {
            activity.AddEvent(new ActivityEvent(part.IsComputed ? "compute" : "fetch", tags: new()
            {
                ["kvmesh.part.first_block"] = part.FirstBlock,
                ["kvmesh.part.blocks"] = part.Blocks,
                ["kvmesh.source"] = part.IsComputed ? "worker" : input.Sources[part.Source].Name,
                ["kvmesh.part.begin_s"] = part.Begin.TotalSeconds,
                ["kvmesh.part.end_s"] = part.End.TotalSeconds,
                ["kvmesh.part.reason"] = part.Reason,
            }));
        }

        if (plan.Parts.Length > MaxParts)
        {
            activity.SetTag("kvmesh.plan.parts_left_out", plan.Parts.Length - MaxParts);
        }
    }
}
