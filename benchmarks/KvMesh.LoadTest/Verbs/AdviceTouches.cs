using KvMesh.Engine.Advice;
using KvMesh.Engine.Blocks;
using KvMesh.Protocol;
using KvMesh.Simulation.Traces;

namespace KvMesh.LoadTest.Verbs;

/// <summary>A trace as a node tells it to its advisor, over and over: the keys of each prompt in a run, then the blocks that were not there.</summary>
internal sealed class AdviceTouches
{
    private const int BlockBytes = 1 << 20;

    private readonly CapacityAdvisor _advisor = new(TimeProvider.System);
    private readonly List<Prompt> _prompts = [];
    private long _walked;

    public AdviceTouches(IReadOnlyList<PromptRequest> requests)
    {
        var tenants = new Dictionary<string, (TenantReuse Reuse, ulong Scope)>();
        var known = new HashSet<ulong>();
        var buffer = Array.Empty<byte>();
        foreach (var request in requests)
        {
            if (!tenants.TryGetValue(request.Tenant, out var tenant))
            {
                tenants.Add(request.Tenant, tenant = (_advisor.Join(), (ulong)tenants.Count * 0x9E3779B97F4A7C15));
            }

            var hashes = request.HashInto(ref buffer).ToArray();
            ulong[] sampled = [.. hashes.Chunk(Limits.ChainHashBytes).Select(hash => KeyHash.Of(tenant.Scope, hash))];
            _prompts.Add(new Prompt(tenant.Reuse, tenant.Scope, hashes, [.. sampled.Where(known.Add)]));
        }

        DistinctBlocks = known.Count;
    }

    public int DistinctBlocks { get; }

    public int Prompts => _prompts.Count;

    /// <summary>Share of the blocks that is sampled now.</summary>
    public double Rate => _advisor.Estimate([]).Rate;

    /// <summary>Tells the advisor of a prompt whose blocks are here, and says how many it has.</summary>
    public int TellFound(int index)
    {
        var prompt = _prompts[index];
        var keys = new KeyRun([], prompt.Hashes);
        _advisor.Touch(prompt.Tenant, prompt.Scope, keys, keys.Count, BlockBytes);
        return keys.Count;
    }

    /// <summary>Tells the advisor of a prompt, and that those of its blocks were stored that the trace asked for first there.</summary>
    public int TellStored(int index)
    {
        var prompt = _prompts[index];
        var keys = new KeyRun([], prompt.Hashes);
        _advisor.Touch(prompt.Tenant, prompt.Scope, keys, found: 0, bytesHere: 0);
        foreach (var hash in prompt.Stored)
        {
            _advisor.Place(hash, BlockBytes);
        }

        return keys.Count;
    }

    /// <summary>Only looks at the keys.</summary>
    public int Walk(int index)
    {
        var keys = new KeyRun([], _prompts[index].Hashes);
        var sum = 0L;
        for (var key = keys.Count - 1; key >= 0; key--)
        {
            sum += BitConverter.ToInt64(keys.Hash(key));
        }

        Volatile.Write(ref _walked, sum);
        return keys.Count;
    }

    private sealed record Prompt(TenantReuse Tenant, ulong Scope, byte[] Hashes, ulong[] Stored);
}
