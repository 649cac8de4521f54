using System.ComponentModel;
using System.Globalization;
using KvMesh.Engine.Advice;
using KvMesh.Gateway.Access;
using KvMesh.Protocol.Admin;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

namespace KvMesh.Gateway.Http;

/// <summary>What more memory would change.</summary>
internal static class AdviceEndpoint
{
    public static void Map(IEndpointRouteBuilder routes, NodeView node) =>
        routes.MapGet(
                AdminRoutes.Advice,
                ([Description("Bytes of RAM more than now; 0 when absent.")] string? ram, [Description("Bytes of disk more than now; 0 when absent.")] string? disk,
                    [Description("Bytes of a block over the bytes that RAM and disk would keep it in, 1 to 100; 1 when absent.")] string? codec) =>
                    Advise(node, ram, disk, codec))
            .Describe("getAdvice", "What more RAM, more disk or a codec would change in what is found.", AccessRights.Admin);

    private static Results<Ok<AdviceStatus>, ProblemHttpResult> Advise(NodeView node, string? ram, string? disk, string? codec)
    {
        if (!RequestFields.TryNumber("ram", ram, 0, AdviceLimits.MaxMoreBytes, 0, out var moreRam, out var refusal)
            || !RequestFields.TryNumber("disk", disk, 0, AdviceLimits.MaxMoreBytes, 0, out var moreDisk, out refusal))
        {
            return refusal;
        }

        var ratio = 1.0;
        if (codec is not null
            && !(double.TryParse(codec, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out ratio) && ratio is >= 1 and <= AdviceLimits.MaxCodecRatio))
        {
            return Problems.Field("codec", codec, $"it must be a number from 1 to {AdviceLimits.MaxCodecRatio}");
        }

        var advice = node.Engine.Advise(new AdviceChange(moreRam, moreDisk, ratio));
        return TypedResults.Ok(new AdviceStatus(
            advice.HostBytes, advice.DiskBytes, moreRam, moreDisk, ratio, advice.SampledBlocks, advice.SampledShare, advice.CurveBytes, View(advice.All),
            [.. advice.Tenants.Select(tenant => new TenantAdviceStatus(tenant.Tenant, View(tenant.Part)))]));
    }

    private static AdviceShares View(AdvicePart part) => new(
        part.Touches, part.SampledTouches, part.Margin, part.HostNow, part.HostThen, part.AllNow, part.AllThen, part.Largest, part.Curve);
}
