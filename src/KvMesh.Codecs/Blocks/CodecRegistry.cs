using System.Collections.Concurrent;
using System.Collections.Frozen;
using System.Diagnostics.CodeAnalysis;
using KvMesh.Codecs.Bases;
using KvMesh.Codecs.SharedProjection;
using KvMesh.Codecs.TransformCoding;

namespace KvMesh.Codecs.Blocks;

/// <summary>All codecs of one id: how to make one from the parameters in a header, and the ones that have a name.</summary>
/// <param name="Id">The kind.</param>
/// <param name="Read">Makes the codec of a version and parameters; null when they are none that it ever wrote.</param>
/// <param name="Presets">Codecs that policies and benchmarks name.</param>
public sealed record CodecFamily(CodecId Id, CodecFamily.Reader Read, IReadOnlyList<KvCodec> Presets)
{
    public delegate KvCodec? Reader(byte version, ReadOnlySpan<byte> parameters);
}

/// <summary>Finds codecs by the id in a header and by name. Immutable; a codec made from a header is kept for the next block.</summary>
public sealed class CodecRegistry
{
    // Each policy of each model writes one set of parameters: more than this is somebody trying out headers.
    private const int MaxKept = 1024;

    private readonly FrozenDictionary<CodecId, CodecFamily> _families;
    private readonly FrozenDictionary<string, KvCodec> _named;
    private readonly ConcurrentDictionary<(CodecId Id, byte Version, ulong ParametersHash), KvCodec> _made = new();

    /// <exception cref="ArgumentException">Two families have one id, or two presets one name.</exception>
    public CodecRegistry(IEnumerable<CodecFamily> families)
    {
        var all = families.ToArray();
        _families = all.ToFrozenDictionary(family => family.Id);
        _named = all.SelectMany(family => family.Presets).ToFrozenDictionary(codec => codec.Name, StringComparer.Ordinal);
        foreach (var preset in _named.Values)
        {
            _made[(preset.Id, preset.Version, EncodedHeader.HashOf(preset.Parameters.Span))] = preset;
        }
    }

    /// <summary>The codecs that need no tables of a model.</summary>
    public static CodecRegistry Standard { get; } = new(StandardCodecs.Families);

    /// <summary>The standard codecs, and those whose blocks name bases of these models; of one model, with presets.</summary>
    public static CodecRegistry WithBases(params IReadOnlyList<ModelBases> models) =>
        new([.. StandardCodecs.Families, SharedProjectionCodec.FamilyOf(models), TransformCodec.FamilyOf(models)]);

    /// <summary>All presets, by id and then in the order of their family.</summary>
    public IEnumerable<KvCodec> Presets => _families.Values.OrderBy(family => family.Id).SelectMany(family => family.Presets);

    /// <summary>The kinds that are known.</summary>
    public IEnumerable<CodecId> Ids => _families.Keys;

    /// <summary>The preset of a name; null when there is none.</summary>
    public KvCodec? Find(string name) => _named.GetValueOrDefault(name);

    /// <summary>The codec that wrote a block.</summary>
    /// <returns>False when the id is unknown here, or its version or parameters are.</returns>
    public bool TryFind(in EncodedHeader header, ReadOnlySpan<byte> parameters, [NotNullWhen(true)] out KvCodec? codec)
    {
        var key = (header.Codec, header.CodecVersion, header.ParametersHash);
        if (_made.TryGetValue(key, out codec) && parameters.SequenceEqual(codec.Parameters.Span))
        {
            return true;
        }

        codec = _families.TryGetValue(header.Codec, out var family) ? family.Read(header.CodecVersion, parameters) : null;
        if (codec is not null && _made.Count < MaxKept)
        {
            _made.TryAdd(key, codec);
        }

        return codec is not null;
    }
}
