<?xml version="1.0" encoding="UTF-8"?>
<!-- OopFactory's X12Parser: <CLM><CLM01>A</CLM01><CLM05><CLM0501>11</CLM0501></CLM05></CLM> inside <Loop>s, with
     comments before and inside the values. -->
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" xmlns:saxon="http://icl.com/saxon"
    xmlns:cl="urn:claimlint:dialect"
    cl:title="OopFactory X12Parser"
    cl:detect="//*[local-name() = 'ISA01' or local-name() = 'ST01' or local-name() = 'HL01' or local-name() = 'CLM01']"
    cl:tag="SEG">
  <xsl:output method="text" encoding="UTF-8"/>
  <xsl:template match="text()"/>

  <xsl:template name="segment" match="*[string-length(local-name()) &lt; 4
      and *[starts-with(local-name(), local-name(..))]]">
    <xsl:variable name="id" select="local-name()"/>
    <xsl:variable name="from" select="string-length($id) + 1"/>
    <xsl:value-of select="concat(saxon:line-number(), '&#127;', $id)"/>
    <xsl:for-each select="*[starts-with(local-name(), $id)]">
      <xsl:choose>
        <xsl:when test="*">
          <xsl:value-of select="concat('&#9;', substring(local-name(), $from, 2), '&#127;')"/>
          <xsl:for-each select="*[starts-with(local-name(), $id)]">
            <xsl:value-of select="concat('&#13;', substring(local-name(), $from + 2), '&#127;',
                translate(., '&#9;&#10;&#13;&#127;', '&#133;&#133;&#133; '))"/>
          </xsl:for-each>
        </xsl:when>
        <xsl:otherwise>
          <xsl:value-of select="concat('&#9;', substring(local-name(), $from, 2), '&#127;',
              translate(., '&#9;&#10;&#13;&#127;', '&#133;&#133;&#133; '))"/>
        </xsl:otherwise>
      </xsl:choose>
    </xsl:for-each>
    <xsl:text>&#10;</xsl:text>
  </xsl:template>
</xsl:stylesheet>
