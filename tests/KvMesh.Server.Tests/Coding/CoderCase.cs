using KvMesh.Engine.Coding;
using KvMesh.Server.Coding;
using KvMesh.Server.Options;
using KvMesh.TestKit;

namespace KvMesh.Server.Tests.Coding;

/// <summary>A coder over a file of layouts, and blocks as models write them.</summary>
internal sealed class CoderCase : IDisposable
{
    /// <summary>Two layers of two heads of 64 channels in bf16: 1 KiB a token, 64 KiB a block.</summary>
    public const string Layouts = """
        { "layouts": [ // one entry a layout
          { "name": "tiny", "models": ["org/Tiny*"], "keys": ["tiny:*"], "layers": 2, "kvHeads": 2, "headChannels": 64, "ropeTheta": 10000, "blockTokens": 64 },
        ] }
        """;

    public const int BlockBytes = 64 * 1024;

    private readonly TemporaryDirectory _directory = new();

    public CoderCase(string layouts = Layouts) => WriteLayouts(layouts);

    public NodeOptions Options => TestNode.Options(_directory.Path);

    public void WriteLayouts(string layouts) => File.WriteAllText(Path.Combine(_directory.Path, LayoutBook.FileName), layouts);

    public void ForgetLayouts() => File.Delete(Path.Combine(_directory.Path, LayoutBook.FileName));

    public TensorCoder Open(Action<CodecOptions>? configure = null, int threads = 1)
    {
        var options = Options;
        options.Codecs.Disk = "lossless";
        configure?.Invoke(options.Codecs);
        return new TensorCoder(LayoutBook.Open(options), CodecPolicy.OfDisk(options.Codecs), TimeProvider.System, threads);
    }

    public static CodedBlock Block(byte[] key, int bytes, string tenant = "default") =>
        new() { Tenant = tenant, Model = "", Key = key, PayloadBytes = bytes };

    /// <summary>What an LMCache client writes beside a block: length, format, element and four dimensions.</summary>
    public static byte[] Metadata(params int[] numbers)
    {
        var value = new byte[numbers.Length * sizeof(int)];
        Buffer.BlockCopy(numbers, 0, value, 0, value.Length);
        return value;
    }

    /// <summary>Numbers around zero in bf16, as keys and values are.</summary>
    public static byte[] Tensor(int seed, int bytes)
    {
        var random = new Random(seed);
        var payload = new byte[bytes];
        for (var at = 0; at + 1 < bytes; at += 2)
        {
            var value = (float)(Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()));
            BitConverter.TryWriteBytes(payload.AsSpan(at), (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16));
        }

        return payload;
    }

    public void Dispose() => _directory.Dispose();
}
