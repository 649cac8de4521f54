using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Raw;

namespace KvMesh.Codecs.Tests.Raw;

public sealed class RawCodecTests : KvCodecContract
{
    protected override IEnumerable<KvCodec> Codecs => [RawCodec.Instance];

    protected override int? StripBytes(KvCodec codec, StripShape shape) => shape.Bytes;

    protected override void AssertWithinBound(KvCodec codec, StripData strip, float[] decoded) => Assert.Equal(strip.Values, decoded);
}
