using System.Collections.Immutable;

namespace KvMesh.Codecs.Layouts;

/// <summary>How a layer attends. Append only: part of the layout hash.</summary>
public enum LayerKind : byte
{
    /// <summary>Attends to all tokens: MHA, GQA or MQA, by the number of heads.</summary>
    Full = 1,

    /// <summary>Attends to the last <see cref="LayerLayout.WindowTokens"/> tokens.</summary>
    Sliding = 2,

    /// <summary>Multi-head latent attention: one latent and one rotated part per token.</summary>
    Latent = 3,

    /// <summary>Recurrent: a state of fixed size, snapshot at the end of a block.</summary>
    State = 4,

    /// <summary>Keeps nothing.</summary>
    None = 5,
}

/// <summary>Which tokens one KV head needs. Streaming heads see the first and the last tokens only.</summary>
/// <param name="SinkTokens">First tokens that a streaming head sees.</param>
/// <param name="RecentTokens">Last tokens that a streaming head sees; 0 for a head that sees all.</param>
public readonly record struct HeadClass(int SinkTokens, int RecentTokens)
{
    public bool IsStreaming => RecentTokens > 0;
}

/// <summary>What one layer of a model stores. Made by the factories; <see cref="KvLayout"/> checks it.</summary>
public sealed record LayerLayout
{
    public required LayerKind Kind { get; init; }

    public int KeyHeads { get; init; }

    public int ValueHeads { get; init; }

    public int KeyChannels { get; init; }

    public int ValueChannels { get; init; }

    /// <summary>Query heads of the layer; 0 when unknown.</summary>
    public int QueryHeads { get; init; }

    /// <summary>The KV head of each query head, where that is not query head ÷ group size; empty otherwise.</summary>
    public ImmutableArray<int> QueryGroups { get; init; } = [];

    /// <summary>One class per key head; empty when all heads see all tokens.</summary>
    public ImmutableArray<HeadClass> HeadClasses { get; init; } = [];

    /// <summary>Sliding: how many last tokens the layer sees.</summary>
    public int WindowTokens { get; init; }

    public int LatentChannels { get; init; }

    public int LatentRopeChannels { get; init; }

    /// <summary>How the latent is stored where that differs from the layout's element.</summary>
    public KvElement? LatentElement { get; init; }

    /// <summary>Bytes of scales behind each token's latent.</summary>
    public int LatentTailBytes { get; init; }

    public int StateBytes { get; init; }

    /// <summary>The layer whose keys this one reads instead of its own.</summary>
    public int? KeyAlias { get; init; }

    /// <summary>The layer whose values this one reads instead of its own.</summary>
    public int? ValueAlias { get; init; }

    /// <summary>MHA, GQA and MQA, by the number of KV heads.</summary>
    public static LayerLayout Full(int kvHeads, int headChannels) => new()
    {
        Kind = LayerKind.Full,
        KeyHeads = kvHeads,
        ValueHeads = kvHeads,
        KeyChannels = headChannels,
        ValueChannels = headChannels,
    };

    public static LayerLayout Sliding(int kvHeads, int headChannels, int windowTokens) =>
        Full(kvHeads, headChannels) with { Kind = LayerKind.Sliding, WindowTokens = windowTokens };

    public static LayerLayout Latent(int latentChannels, int ropeChannels) =>
        new() { Kind = LayerKind.Latent, LatentChannels = latentChannels, LatentRopeChannels = ropeChannels };

    public static LayerLayout State(int bytes) => new() { Kind = LayerKind.State, StateBytes = bytes };

    public static LayerLayout None { get; } = new() { Kind = LayerKind.None };

    /// <summary>The tensors that are stored for this layer; none for what another layer stores.</summary>
    internal IEnumerable<PlaneShape> Planes(KvElement element)
    {
        switch (Kind)
        {
            case LayerKind.Full or LayerKind.Sliding:
                if (KeyAlias is null)
                {
                    yield return new PlaneShape(PlaneKind.Key, KeyHeads, KeyChannels, element);
                }

                if (ValueAlias is null)
                {
                    yield return new PlaneShape(PlaneKind.Value, ValueHeads, ValueChannels, element);
                }

                break;
            case LayerKind.Latent:
                yield return new PlaneShape(PlaneKind.Latent, 1, LatentChannels, LatentElement ?? element, LatentTailBytes);
                yield return new PlaneShape(PlaneKind.LatentRope, 1, LatentRopeChannels, element);
                break;
            case LayerKind.State:
                yield return new PlaneShape(PlaneKind.State, 1, StateBytes, KvElement.Opaque);
                break;
        }
    }
}
