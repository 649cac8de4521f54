using System.CommandLine;
using System.Runtime.InteropServices;
using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Opaque;
using KvMesh.LoadTest.Measuring;
using KvMesh.LoadTest.Reporting;

namespace KvMesh.LoadTest.Verbs;

/// <summary>What codecs take, lose and cost: SKV-1 beside its reference, and whole blocks encoded and decoded by one thread beside a copy.</summary>
internal static class CodecsVerb
{
    private static readonly Option<string[]> Only = new("--only")
    {
        Description = "Presets to measure; all without.",
        AllowMultipleArgumentsPerToken = true,
        DefaultValueFactory = _ => [],
    };

    private static readonly Option<bool> WithoutSpeed = new("--no-speed") { Description = "SKV-1 only." };
    private static readonly Option<string?> Documents = new("--docs")
    {
        Description = "Folder of CODECS.md: its table is written anew from what was measured, with the picture of bits and errors beside it.",
    };

    private static readonly Option<bool> WithoutLoss = new("--no-skv1") { Description = "Speed only." };

    public static Command Create() => RunOptions.Verb(
        "codecs", "Codecs of KvMesh.Codecs: bits and errors on SKV-1 beside the reference, encoding and decoding per core beside memcpy.", 0.4,
        command =>
        {
            command.Add(Only);
            command.Add(WithoutSpeed);
            command.Add(WithoutLoss);
            command.Add(Documents);
        },
        (parse, settings) => Run(Chosen(parse.GetValue(Only)!), parse.GetValue(Only) is [] || parse.GetValue(Only)!.Contains(OpaqueCodec.Name), !parse.GetValue(WithoutLoss), !parse.GetValue(WithoutSpeed), parse.GetValue(Documents), settings));

    private static Report Run(KvCodec[] codecs, bool opaque, bool loss, bool speed, string? documents, RunSettings settings)
    {
        var report = new Report(
            "codecs", "SKV-1: 2,048 tokens of one head in blocks of 256, six seeds. Speed: one thread, bfloat16 input in pages of vLLM, header and checksums included.");
        if (documents is not null && !loss)
        {
            throw new LoadTestException("--docs needs SKV-1: leave --no-skv1 out.");
        }

        var figures = Skv1Table.Measure(loss ? codecs : [], loss && opaque);
        if (loss)
        {
            report.AddTable(Skv1Table.Format(figures));
        }

        if (speed)
        {
            // The documents show the larger block only, and all of them are to be measured within minutes.
            if (documents is null)
            {
                MeasureSpeed(report, codecs, opaque, "1 MiB", CodecsUnderTest.SmallLayout, settings);
            }

            MeasureSpeed(report, codecs, opaque, "64 MiB", CodecsUnderTest.LargeLayout, settings);
        }

        if (documents is not null)
        {
            CodecDocuments.Write(documents, figures, report.Rows);
        }

        return report;
    }

    private static void MeasureSpeed(Report report, KvCodec[] codecs, bool opaque, string size, KvLayout layout, RunSettings settings)
    {
        var block = new CodecBlock(layout);
        foreach (var codec in codecs)
        {
            RunSettings.Progress($"{codec}, {size}");
            block.Prepare(codec);
            Contender[] contenders =
            [
                new("memcpy", () => block.Time(settings, block.Copy)),
                new($"{codec} encode", () => block.Time(settings, block.Encode)),
                new($"{codec} decode", () => block.Time(settings, block.Decode)),
            ];
            report.AddThroughput($"{codec}, {size}", PairedRuns.Measure(contenders, settings), series => size == "64 MiB" ? Target(codec.Name, series.Name) : null);
        }

        if (opaque)
        {
            RunSettings.Progress($"{OpaqueCodec.Name}, {size}");
            var bytes = new OpaqueBlock(block.Bytes);
            Contender[] contenders =
            [
                new("memcpy", () => block.Time(settings, block.Copy)),
                new($"{OpaqueCodec.Name} encode", () => block.Time(settings, bytes.Encode)),
                new($"{OpaqueCodec.Name} decode", () => block.Time(settings, bytes.Decode)),
            ];
            report.AddThroughput($"{OpaqueCodec.Name}, {size}", PairedRuns.Measure(contenders, settings), _ => null);
        }
    }

    /// <summary>Shares of a copy's speed that codecs are to reach on blocks that no cache holds.</summary>
    private static double? Target(string preset, string who) => (preset, who.EndsWith("encode", StringComparison.Ordinal)) switch
    {
        ("int8", _) => 0.55,
        ("kivi4-g64", true) => 0.33,
        ("kivi4-g64", false) => 0.50,
        ("lossless" or "ecq-0.34", false) => 0.07,
        _ => null,
    };

    private static KvCodec[] Chosen(string[] names) => names.Length == 0
        ? [.. CodecsUnderTest.Registry.Presets]
        : [.. names.Where(name => name != OpaqueCodec.Name).Select(name => CodecsUnderTest.Registry.Find(name)
            ?? throw new LoadTestException($"there is no codec {name}; there are {string.Join(", ", CodecsUnderTest.Registry.Presets)} and {OpaqueCodec.Name}."))];
}

/// <summary>One block with room for its encoded form, and the loops over it.</summary>
internal sealed class CodecBlock
{
    private readonly BlockGeometry _geometry;
    private readonly Memory<byte> _block;
    private readonly Memory<byte> _target;
    private readonly CodecScratch _scratch = new();
    private byte[] _encoded = [];
    private int _length;
    private KvCodec? _codec;

    public CodecBlock(KvLayout layout)
    {
        _geometry = new BlockGeometry(layout, BlockOrder.LayerPartTokenHead, BlockRegion.Whole(layout));
        _block = Aligned(_geometry.Bytes);
        _target = Aligned(_geometry.Bytes);
        CodecBlockContent.Fill(_block.Span);
    }

    public ReadOnlyMemory<byte> Bytes => _block;

    public void Prepare(KvCodec codec)
    {
        _codec = codec;
        var most = BlockEncoder.MaxBytes(codec, _geometry);
        if (_encoded.Length < most)
        {
            _encoded = new byte[most];
        }

        Encode();
        Decode();
    }

    /// <summary>Does a step over and over until the window closes; bytes are those of the block, not of its encoded form.</summary>
    public Sample Time(RunSettings settings, Action step) => Workers.Run(1, 0, () => new RunWindow(settings.Time), (tally, window) =>
    {
        while (window.TryBegin(_block.Length))
        {
            step();
            tally.Count(1, _block.Length, 0);
        }
    });

    /// <summary>Blocks lie on cache lines, as they do in an arena.</summary>
    private static Memory<byte> Aligned(int bytes)
    {
        const int Line = 64;
        var array = GC.AllocateUninitializedArray<byte>(bytes + Line, pinned: true);
        var offset = (int)(-Marshal.UnsafeAddrOfPinnedArrayElement(array, 0) & (Line - 1));
        return array.AsMemory(offset, bytes);
    }

    public void Copy() => _block.Span.CopyTo(_target.Span);

    public void Encode() => _length = BlockEncoder.Encode(_codec!, _geometry, _block.Span, 1024, default, _encoded, _scratch);

    public void Decode()
    {
        var result = BlockDecoder.Decode(CodecsUnderTest.Registry, _encoded.AsSpan(0, _length), _geometry, _target.Span, _scratch);
        if (result != DecodeResult.Ok)
        {
            throw new LoadTestException($"{_codec} does not decode what it encoded: {result}.");
        }
    }
}
